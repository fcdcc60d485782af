"""What the tests of the file's rules need to know of each word: sound rows, and how to break them."""
