"""What a visitor may ask, and what all visitors together may take; no option sets these."""

MIB = 2**20

# of an upload
MAX_UPLOAD = 20 * MIB  # bytes of a file
MAX_FILES = 8  # of the largest size at once
MAX_PIXELS = 50_000_000  # of a picture: a phone's 48 megapixels, 150 MB when decoded
MAX_ASPECT = 20  # a picture's longer side over its shorter one
MAX_BODY = MIB  # bytes of a request that isn't an upload
MAX_UNPACKED = 128 * MIB  # bytes of a zip of evidence, once it is unpacked
MAX_CHECKED = 50  # rows of it that are judged
MAX_PICTURES = 8  # of one grid beside A and B
MAX_PAIRS = 12  # of one grid

# of all together
MAX_STORED = 4096 * MIB  # bytes on the disk, uploads half of it and results the other half
KEEP_FILES = 3600  # seconds after which an upload or a result is deleted
MAX_QUEUE = 100  # waiting requests; one more is told to come back
CONCURRENCY = 2  # requests of one kind that are worked on at a time
MAX_MODELS = 4  # checkpoints in memory
MAX_CROPS = 256  # decoded and cropped pictures in memory, up to 150 KB each at 224 pixels
MAX_STRIPS = 256  # rows of thumbnails in memory, about 20 KB each
MAX_SESSIONS = 500  # whose page state is remembered
