#!/usr/bin/env node
/** The program `hadal`. */
import { HadalError } from '../errors';
import { launch, launchUsage, parseLaunch } from './launch';

async function main([command, ...rest]: readonly string[]): Promise<number> {
  if (command !== 'launch') {
    const isAsked = command === undefined || /^(-h|--help|help)$/.test(command);
    if (!isAsked) process.stderr.write(`hadal: no such command: got ${command}, expected launch\n\n`);
    (isAsked ? process.stdout : process.stderr).write(launchUsage);
    return isAsked ? 0 : 2;
  }
  const options = parseLaunch(rest);
  if (options !== undefined) return launch(options);
  process.stdout.write(launchUsage);
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error instanceof HadalError ? error.message : error);
    process.exitCode = 2;
  },
);
