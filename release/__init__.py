"""Makes a release: `make release` writes images, chart, manifests and their bills of materials into dist/VERSION."""
