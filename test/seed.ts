// Runs before each test: random numbers are the same in every run, whichever tests run.
import { manualSeed } from '../lib/index';

beforeEach(() => manualSeed(0));
