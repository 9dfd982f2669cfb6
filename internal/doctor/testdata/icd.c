// A Vulkan driver with a fault, as the loader loads one
// (github.com/KhronosGroup/Vulkan-Loader/blob/main/docs/LoaderDriverInterface.md).
#include <stdlib.h>
#include <unistd.h>

void *vk_icdGetInstanceProcAddr(void *instance, const char *name) {
#if defined(HANG)
	for (;;) pause();
#elif defined(CRASH)
	*(volatile int *)0 = 0;
#elif defined(EXIT)
	exit(3);
#endif
	return 0; // as NVIDIA's does where a library that it needs is missing
}
