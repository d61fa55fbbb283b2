/** Where the numbers, texts and pictures of a run go. The classes beside this file write files; report.ts and live-page.ts make pages. */
import type { Values } from './callback';

/** Bytes, row after row: one each for grey, three for red, green and blue. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Takes what is logged. Calls are in the order of the steps; promises are waited for. */
export interface Logger {
  scalars(step: number, values: Values): void | Promise<void>;
  text?(step: number, name: string, text: string): void | Promise<void>;
  image?(step: number, name: string, picture: Picture): void | Promise<void>;
  histogram?(step: number, name: string, values: ArrayLike<number>): void | Promise<void>;
  /** Counts of what is taken for what: `matrix[truth][prediction]`. */
  confusion?(step: number, name: string, matrix: readonly (readonly number[])[]): void | Promise<void>;
  /** The run begins (at 0) or goes on from `step`: what was logged beyond it is forgotten. */
  resume?(step: number): void | Promise<void>;
  /** Everything logged so far is on the disk afterwards. */
  flush?(): void | Promise<void>;
}
