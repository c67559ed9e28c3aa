"""What stands before a real registry in tests, on loopback, each in a thread of the test.

`front` is a reverse proxy that misbehaves as told: it cuts answers, lies about lengths, ignores
ranges, sends elsewhere, wants waiting. `tokens` is a token service: it signs what docker-registry,
told to trust its certificate (`auth: token`), accepts. Both remember what they were asked.
"""
