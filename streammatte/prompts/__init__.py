"""Networks that are told in words, by a point or by a box who is wanted (port `Prompter`), one file each."""
