"""What RFC 9113 and RFC 7541 call an error: the right code, and no more ended than it asks.

A case is named by the section it is from, and is bytes as they come. Section by section:
`test_connection` (3 to 5), `test_frames` (6), `test_requests` (8), `test_compression` (7541).
"""
