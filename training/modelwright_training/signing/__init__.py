"""Signs model files and checks their signatures: the bundle format of OpenSSF model-signing 1, with one's own key.

https://github.com/sigstore/model-transparency, docs/model_signing_format.md: a Sigstore bundle (JSON) with a DSSE
envelope over an in-toto statement, which holds the digest of the file. No certificates and no transparency log."""
