"""S3 as its servers agree on it: objects by path, signed requests, checksums, uploads in parts."""

from bundler.tools.s3.bucket import PART, Bucket
from bundler.tools.s3.keys import Keys, find_keys

__all__ = ["PART", "Bucket", "Keys", "find_keys"]
