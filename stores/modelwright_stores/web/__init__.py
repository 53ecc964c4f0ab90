"""Files of web servers, over HTTPS: with a password or a token, through redirects, and from any byte on."""
