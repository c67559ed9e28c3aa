"""`python -m bundler` is `airbundle`."""

from bundler.cli.main import main

main()
