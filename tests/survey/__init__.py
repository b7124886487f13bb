"""Faults that nobody planned for: the MaaS gateway's Envoy alters what passes, one thing at a time.

`make survey` meets each of `filters.FILTERS` with the suite, windows and disposable clusters left
out, and says which requirement it turned red first. What goes unnoticed is a test that is missing,
or harmless, and then `filters.HARMLESS` says why. Mutants are known defects, each with the
requirement that it violates; here it is the suite that is asked what it sees.
"""
