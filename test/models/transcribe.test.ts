// Recordings written down with times, beside the library transformers; its small Whisper lies in test/golden/transformers, what it writes in test/golden/generation.json.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cat, manualSeed, models, ones, randn, tensor, zeros, type AnyTensor } from '../../lib/index';
import { compression } from '../../lib/models/whisper-target';
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
  readonly languages: { readonly recording: number; readonly chances: number[] }[];
  readonly fallbacks: {
    readonly recording: number;
    readonly options: {
      readonly language?: string;
      readonly task?: string;
      readonly logprob_threshold?: number;
      readonly no_speech_threshold?: number;
    };
    readonly segments: Segment[];
  }[];
  readonly compressed: { readonly tokens: number[]; readonly vocabulary: number; readonly ratio: number }[];
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

async function collectSegments(segments: AsyncIterable<models.Transcription>): Promise<models.Transcription[]> {
  const list: models.Transcription[] = [];
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

test.each(golden.compressed)(
  '$tokens.length tokens of $vocabulary are compressed',
  ({ tokens: all, vocabulary, ratio }) => {
    expect(compression(all, vocabulary)).toBeCloseTo(ratio, 12);
  },
);

const generation = {
  eos_token_id: 5,
  no_timestamps_token_id: 11,
  suppress_tokens: [2, 3],
  begin_suppress_tokens: [14],
};

/** The small model, beside which a file says how to generate. */
async function loadWith(config: object): Promise<models.Whisper> {
  const folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  try {
    cpSync(folderOf('whisper'), folder, { recursive: true });
    writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(config));
    return await models.Whisper.load(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const recordingOf = async (recording: number): Promise<AnyTensor> =>
  (await referenceOf('whisper'))['sound']!.cast('float32').div(128).select(0, recording) as AnyTensor;

describe('recordings', () => {
  let model: models.Whisper;
  beforeAll(async () => {
    model = await loadWith(generation);
  });

  test('which tokens end and time targets is read', () => {
    expect([model.end, model.noTimes]).toEqual([5, 11]);
  });

  test.each(golden.transcripts)('recording $recording with $options', async ({ recording, options, segments }) => {
    const { num_beams: beams = 1, forced_decoder_ids: forced = [] } = options;
    const begin = forced.map(([, token]) => token);
    const found = models.transcribe(model, await recordingOf(recording), { beams, begin, latestStart: 0.06 });
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

describe('recordings in one of several languages', () => {
  const languages = { en: 6, de: 8, fr: 9 };
  let model: models.Whisper;
  beforeAll(async () => {
    const named = Object.fromEntries(Object.entries(languages).map(([code, token]) => [`<|${code}|>`, token]));
    model = await loadWith({ ...generation, lang_to_id: named, task_to_id: { transcribe: 7, translate: 10 } });
  });

  test('which tokens languages and tasks have is read', () => {
    expect(model.languages).toEqual(languages);
    expect(model.tasks).toEqual({ transcribe: 7, translate: 10 });
  });

  test.each(golden.languages)('of recording $recording the likeliest is heard', async ({ recording, chances }) => {
    const speech = models.whisperFeatures(await recordingOf(recording), { seconds: 2, mels: 6 }).narrow(2, 0, 20);
    const [heard, again] = await model.detectLanguage(cat([speech, speech]) as AnyTensor);
    const likeliest = Math.max(...chances);
    expect(heard!.language).toBe(Object.keys(languages)[chances.indexOf(likeliest)]);
    // Of the reference with eight digits, both in float32.
    expect(Math.abs(heard!.probability - likeliest)).toBeLessThan(1e-6);
    expect(again).toEqual(heard);
  });

  test.each(golden.fallbacks)('recording $recording with $options', async ({ recording, options, segments }) => {
    const { language, task, logprob_threshold: unlikely, no_speech_threshold: silent } = options;
    const found = await collectSegments(
      models.transcribe(model, await recordingOf(recording), {
        latestStart: 0.06,
        ...(language === undefined ? {} : { language }),
        ...(task === undefined ? {} : { task }),
        ...(silent === undefined ? {} : { logProbabilityThreshold: unlikely!, noSpeechThreshold: silent }),
      }),
    );
    expect(found.map(({ language: _, ...segment }) => segment)).toEqual(ours(segments));
    expect([...new Set(found.map((each) => each.language))]).toEqual([language ?? 'fr']);
  });

  describe('doubtful windows are written again', () => {
    const write = async (options: models.TranscribeOptions): Promise<models.WhisperSegment[]> =>
      collectSegments(models.transcribe(model, await recordingOf(0), { latestStart: 0.06, ...options }));
    let likeliest: models.WhisperSegment[], searched: models.WhisperSegment[];
    beforeAll(async () => {
      [likeliest, searched] = await Promise.all([write({}), write({ beams: 3 })]);
      expect(searched).not.toEqual(likeliest);
    });
    // So low a temperature draws the likeliest token, without beams.
    const again = { beams: 3, temperatures: [0, 1e-9] };

    test('unlikely ones', async () => {
      expect(await write({ ...again, logProbabilityThreshold: 0, compressionThreshold: 100 })).toEqual(likeliest);
      expect(await write({ ...again, logProbabilityThreshold: -100, compressionThreshold: 100 })).toEqual(searched);
    });

    test('ones that repeat themselves', async () => {
      expect(await write({ ...again, logProbabilityThreshold: -100, compressionThreshold: 0.01 })).toEqual(likeliest);
    });

    test('drawn, the same for the same seed', async () => {
      const draw = (): Promise<models.WhisperSegment[]> => {
        manualSeed(5);
        return write({ temperatures: [0, 1], logProbabilityThreshold: 0 });
      };
      const drawn = await draw();
      expect(drawn).not.toEqual(likeliest);
      expect(await draw()).toEqual(drawn);
    });
  });

  test('what is refused', async () => {
    const refused = (options: models.TranscribeOptions): Promise<unknown> =>
      models.transcribe(model, randn([4000]), options).next();
    await expect(refused({ language: 'it' })).rejects.toThrow('transcribe: language: got it, expected en, de, fr');
    await expect(refused({ task: 'sing' })).rejects.toThrow(
      'transcribe: task: got sing, expected transcribe, translate',
    );
    await expect(refused({ begin: [6, 7], language: 'en' })).rejects.toThrow('transcribe: begin: got it beside');
    await expect(refused({ temperatures: [] })).rejects.toThrow('transcribe: temperatures.length: got 0');
    await expect(refused({ temperatures: [-1] })).rejects.toThrow('transcribe: temperatures[0]: got -1');
    await expect(refused({ noSpeechThreshold: 2 })).rejects.toThrow('transcribe: noSpeechThreshold: got 2');
    await expect(refused({ compressionThreshold: -1 })).rejects.toThrow('transcribe: compressionThreshold: got -1');
    const plain = await loadWith(generation);
    const speech = randn([1, 6, 20]) as AnyTensor;
    await expect(plain.detectLanguage(speech)).rejects.toThrow('detectLanguage: model.languages: got none');
    await expect(models.transcribe(plain, randn([4000]), { task: 'translate' }).next()).rejects.toThrow(
      'transcribe: task: got translate, expected none, as the model knows none',
    );
    await expect(loadWith({ ...generation, lang_to_id: { '<|en|>': 'six' } })).rejects.toThrow(
      '<|en|>: got string six, expected a number',
    );
    await expect(loadWith({ ...generation, lang_to_id: { '<|en|>': 24 } })).rejects.toThrow(
      'Whisper: languages.en: got 24, expected an integer from 0 to 23',
    );
    await expect(loadWith({ ...generation, task_to_id: 3 })).rejects.toThrow('Whisper: task_to_id: got number 3');
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
