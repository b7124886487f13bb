"""vLLM on the CPU, with a tiny model of random weights made here: `make vllm` runs it in the
place of the image vllm/vllm-openai, by the Python of its own virtual environment.

Its words are the container's; the model that they name is served under that name. Nothing is
downloaded: the weights are vLLM's own dummies, the tokenizer is trained on the sentences below.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SENTENCES = ["Say hi in one sentence.", "Hello! This is a sentence of a very small language model."]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
    "DO_NOT_TRACK": "1",
}  # fmt: skip


def model(folder: Path) -> None:
    """A Llama of two layers, and a tokenizer for it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
            "unk_token": "<unk>", "chat_template": TEMPLATE, "model_max_length": 2048,
        },
        "config.json": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
            "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "head_dim": 32, "vocab_size": tokenizer.get_vocab_size(),
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "bos_token_id": 1,
            "eos_token_id": 2, "torch_dtype": "float32", "tie_word_embeddings": False,
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    flags, words = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="vllm-model-"))
    model(folder)
    os.environ.update(ENVIRONMENT)
    small = ["--load-format", "dummy", "--dtype", "float32", "--enforce-eager",
             "--max-model-len", "2048", "--max-num-seqs", "8"]  # fmt: skip
    server = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    os.execv(
        sys.executable,
        [*server, "--model", str(folder), "--served-model-name", flags.model, *small, *words],
    )


if __name__ == "__main__":
    main()
