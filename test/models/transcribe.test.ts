// Recordings written down with times, beside the library transformers; its small Whisper lies in test/golden/transformers, what it writes in test/golden/generation.json.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { manualSeed, models, ones, randn, tensor, zeros, type AnyTensor } from '../../lib/index';
import { segmentsOf } from '../../lib/models/whisper-times';
import { collect, folderOf, referenceOf } from './references';

interface Segment {
  readonly start: number;
  readonly end: number;
  readonly tokens: number[];
}
interface Golden {
  readonly times: {
    readonly new: number[];
    readonly latest: number;
    readonly logits: number[][];
    readonly chances: number[][];
  }[];
  readonly transcripts: {
    readonly recording: number;
    readonly options: { readonly num_beams?: number; readonly forced_decoder_ids?: [number, number][] };
    readonly segments: Segment[];
  }[];
  readonly segments: {
    readonly tokens: number[];
    readonly rest: number;
    readonly segments: Segment[];
    readonly move: number;
  }[];
}
const golden = JSON.parse(readFileSync(join(__dirname, '../golden/generation.json'), 'utf8')) as Golden;
const tokens = { end: 5, noTimes: 11 };
const firstTime = 12;

/** Segments as they are here: times are no tokens, and seconds are rounded, as a whole number of frames is. */
const ours = (segments: readonly Segment[]): models.WhisperSegment[] =>
  segments.map(({ start, end, tokens: all }) => ({
    start: Number(start.toFixed(9)),
    end: Number(end.toFixed(9)),
    tokens: all.filter((token) => token < firstTime),
  }));

async function collectSegments(segments: AsyncIterable<models.WhisperSegment>): Promise<models.WhisperSegment[]> {
  const list: models.WhisperSegment[] = [];
  for await (const segment of segments) list.push(segment);
  return list;
}

test.each(golden.times)('behind $new, up to $latest at first, times follow by the rules', (each) => {
  const rules = models.whisperTimes(tokens, { latestStart: 0.02 * each.latest });
  const sequences = [0, 1].map(() => [2, 9, 14, ...each.new]);
  const found = rules(tensor(each.logits) as AnyTensor, sequences, each.new.length).softmax(-1);
  // Both sides in float32, the reference written with eight digits.
  expect(found.sub(tensor(each.chances)).abs().max().itemSync()).toBeLessThan(2e-7);
});

test.each(golden.segments)(
  '$tokens of $rest frames is cut into segments',
  ({ tokens: target, rest, segments, move }) => {
    const found = segmentsOf(target, firstTime, rest);
    const inSeconds = found.segments.map((each) => ({ ...each, start: each.start / 100, end: each.end / 100 }));
    expect(inSeconds).toEqual(ours(segments));
    expect(found.move).toBe(move);
  },
);

describe('recordings', () => {
  let folder: string;
  let model: models.Whisper;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
    cpSync(folderOf('whisper'), folder, { recursive: true });
    const generation = {
      eos_token_id: 5,
      no_timestamps_token_id: 11,
      suppress_tokens: [2, 3],
      begin_suppress_tokens: [14],
    };
    writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(generation));
    model = await models.Whisper.load(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('which tokens end and time targets is read', () => {
    expect([model.end, model.noTimes]).toEqual([5, 11]);
  });

  test.each(golden.transcripts)('recording $recording with $options', async ({ recording, options, segments }) => {
    const sound = (await referenceOf('whisper'))['sound']!.cast('float32').div(128);
    const { num_beams: beams = 1, forced_decoder_ids: forced = [] } = options;
    const begin = forced.map(([, token]) => token);
    const found = models.transcribe(model, sound.select(0, recording), { beams, begin, latestStart: 0.06 });
    expect(await collectSegments(found)).toEqual(ours(segments));
  });

  test('shorter than a frame, there is nothing to write', async () => {
    expect(await collectSegments(models.transcribe(model, zeros([159]) as AnyTensor))).toEqual([]);
  });

  test('targets of one window follow the rules in each way of generating', async () => {
    manualSeed(2);
    const speech = randn([2, 6, 20]) as AnyTensor;
    const options = { maxTokens: 12, stop: 5, logitsProcessor: models.whisperTimes(model) };
    const drawn = await collect(models.generate(model, speech.narrow(0, 0, 1), options));
    const [best] = await models.beamSearch(model, speech.narrow(0, 0, 1), options);
    const rows: number[][] = [[], []];
    for await (const step of models.generateBatch(model, speech, options)) {
      step.forEach((token, i) => token !== undefined && rows[i]!.push(token));
    }
    for (const target of [drawn, best!.tokens, ...rows]) {
      const times = target.filter((token) => token >= firstTime);
      expect(target[0]).toBeGreaterThanOrEqual(firstTime);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }
  });
});

test('what is refused', async () => {
  const sizes = { vocabulary: 24, mels: 6, sourceContext: 10, context: 24, width: 8, layers: 1, heads: 2, start: 2 };
  const model = new models.Whisper({ ...sizes, ...tokens });
  const sound = randn([4000]) as AnyTensor;
  const refused = (...args: Parameters<typeof models.transcribe>): Promise<unknown> =>
    models.transcribe(...args).next();
  await expect(refused({} as never, sound)).rejects.toThrow('transcribe: model: got another one, expected a Whisper');
  await expect(refused(model, ones([1, 4000]))).rejects.toThrow(
    'transcribe: samples: got shape [1, 4000], expected [time]',
  );
  await expect(refused(model, zeros([10], { dtype: 'int32' }))).rejects.toThrow(
    'transcribe: waveform: got int32, expected a floating dtype',
  );
  await expect(refused(new models.Whisper({ ...sizes, end: 5 }), sound)).rejects.toThrow(
    'transcribe: model.noTimes: got undefined, expected a token',
  );
  await expect(refused(model, sound, { beams: 0 })).rejects.toThrow('transcribe: beams: got 0');
  await expect(refused(model, sound, { latestStart: -1 })).rejects.toThrow('whisperTimes: latestStart: got -1');
  expect(() => models.whisperTimes({})).toThrow('whisperTimes: model.end: got undefined, expected a token');
  expect(() => new models.Whisper({ ...sizes, end: 24 })).toThrow(
    'Whisper: end: got 24, expected an integer from 0 to 23',
  );
});
