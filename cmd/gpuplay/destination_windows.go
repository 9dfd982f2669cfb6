package main

import "os"

// nonblocking changes nothing: what is no regular file has no wait for a reader here.
const nonblocking = 0

// keepOwner does nothing: a new file has the owner and the rights of its folder.
func keepOwner(*os.File, os.FileInfo) {}
