"""Scanners of model files and more, one file a scanner; a scanner that read nothing has failed.

May import core. A scanner is given names and openable bytes, and says what it objects to; it
never unpickles, imports or runs what it reads, and keeps no more than a header of it in memory.
checkov, a program, looks at manifests: `checkov` hands them over, `checkov_proof` doubts it.
"""
