/** Owns this thread's one instance of the native addon. */
import type { NativeAddon } from './addon';
import { findCuda } from './find-cuda';
import { loadAddon } from './load-addon';

/** A plain object: V8 keeps an addon's exports in a hash table, where each call looks its function up anew. */
export const native: NativeAddon = { ...loadAddon() };

const { path, remedy } = findCuda();
native.locateCuda(path, remedy);
