"""What each tier may use: so many requests and tokens in so many seconds."""

REQUEST_WINDOW, TOKEN_WINDOW = 120, 60
REQUESTS = {"free": 5, "premium": 20, "enterprise": 50}
TOKENS = {"free": 100, "premium": 50_000, "enterprise": 100_000}
