// Owns this thread's one instance of the native addon.
import { loadAddon } from './load-addon';

export const native = loadAddon();
