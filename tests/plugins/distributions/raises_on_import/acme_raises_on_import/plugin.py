raise ImportError("libacme.so.3 is missing")
