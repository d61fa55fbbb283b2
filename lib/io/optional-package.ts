/** Packages that only some users need: loaded when they are first used, with a clear word where they are missing. */
import { createRequire } from 'node:module';
import { HadalError } from '../errors';

const requireHere = createRequire(__filename);

/** The package `name`, which `op` needs. */
export function optionalPackage<T>(op: string, name: string): T {
  try {
    return requireHere(name) as T;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'MODULE_NOT_FOUND' || !message.includes(name)) throw error;
    throw new HadalError(
      `${op}: the package ${name} is missing: npm install ${name}`,
      { package: name },
      'MISSING_PACKAGE',
    );
  }
}
