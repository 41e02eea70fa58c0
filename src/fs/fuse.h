// libfuse as we use it: the one place that says which version of its interface we speak.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>
