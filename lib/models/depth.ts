/** The depths in which a network was published. */
import { ArgumentError } from '../errors';

/** The entry of `depth` in `table`. */
export function ofDepth<T>(network: string, table: Readonly<Record<number, T>>, depth: number): T {
  if (!Object.hasOwn(table, depth)) {
    throw new ArgumentError(`${network}: depth: got ${String(depth)}, expected ${Object.keys(table).join(', ')}`);
  }
  return table[depth]!;
}
