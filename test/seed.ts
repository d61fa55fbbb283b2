// Runs before each file of tests and each test: random numbers are the same in every run, whichever tests run.
import { manualSeed } from '../lib/index';

manualSeed(0);
beforeEach(() => manualSeed(0));
