// Takes the place of the driver, whose library the addon looks for before it loads the CUDA backend.
void hadal_emulated_driver(void) {}
