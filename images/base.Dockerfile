# The root file system that debootstrap made.
FROM scratch
ADD root.tar /
