// Appended to gemm.metal: one product, called by a test.
extern "C" void run(const T *a, const T *b, T *c, const uint *numbers) {
	Product p = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
	pthread_barrier_init(&barrier(), nullptr, threads);
	std::vector<std::thread> all;
	for (uint t = 0; t < threads; t++)
		all.emplace_back([=, &p] {
			for (uint y = 0; y < numbers[6]; y++)
				for (uint x = 0; x < numbers[5]; x++) {
					gemm(a, b, c, p, uint2{x, y}, t, t / 32);
					pthread_barrier_wait(&barrier());
				}
		});
	for (std::thread &t : all) t.join();
	pthread_barrier_destroy(&barrier());
}
