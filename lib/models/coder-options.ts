/** What BART and Whisper say alike of their encoders, decoders and tokens. */
import { checkCount, checkList } from '../tensor/checks';

export interface CoderOptions {
  /** Of the decoder; as many as `layers` unless given. */
  readonly decoderLayers?: number;
  /** Of the decoder; as many as `heads` unless given. */
  readonly decoderHeads?: number;
  /** Of the feed-forward parts of the encoder; four times the width unless given. */
  readonly hidden?: number;
  /** Of those of the decoder; as `hidden` unless given. */
  readonly decoderHidden?: number;
  /** The token that fills sequences up: what the table holds for it has no gradient where it is read; none unless given. */
  readonly padding?: number | undefined;
  /** Tokens that `models.generate` does not make, as the one that fills up in Marian and those of what is no speech in Whisper; none unless given. */
  readonly never?: readonly number[];
}

interface EncoderSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly hidden?: number;
}

/** The sizes of the encoder, and those that the decoder has unless others are given. */
export function coderSizes({ width, layers, heads, hidden = 4 * width }: EncoderSizes) {
  const ofDecoder = { decoderLayers: layers, decoderHeads: heads, decoderHidden: hidden };
  return { width, layers, heads, hidden, ...ofDecoder, never: [] };
}

/** Throws unless tokens, and those of lists, are in the vocabulary; `undefined` is none. */
export function checkTokenOptions(
  owner: string,
  vocabulary: number,
  tokens: Readonly<Record<string, number | undefined>>,
  lists: Readonly<Record<string, readonly number[]>>,
): void {
  const check = (name: string, token: number): void => checkCount(owner, name, token, 0, vocabulary - 1);
  for (const [name, token] of Object.entries(tokens)) if (token !== undefined) check(name, token);
  for (const [name, list] of Object.entries(lists)) {
    checkList(owner, name, list);
    list.forEach((token, i) => check(`${name}[${i}]`, token));
  }
}
