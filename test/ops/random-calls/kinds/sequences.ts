// Sequences: attention, recurrent networks, rotary positions, Fourier transforms, linear recurrences.
import { cat, manualSeed, nn, ones, type AnyTensor } from '../../../../lib/index';
import { ops, type Call, type Kind } from '../call';

const { rotaryEmbedding, scaledDotProductAttention } = ops;

const recurrent =
  (name: 'LSTM' | 'GRU' | 'RNN'): Kind =>
  (chance): Call => {
    const [features, hidden, batch, steps] = [70, 90, 40, 20].map((most) => chance.size(most)) as [
      number,
      number,
      number,
      number,
    ];
    const options = { layers: chance.between(1, 2), bidirectional: chance.pick(true, false) };
    const f = (x: AnyTensor): AnyTensor => {
      manualSeed(5);
      const layer = new nn[name](features, hidden, options);
      layer.to(x.dtype as 'float32');
      layer.to(x.device);
      return layer.forward(x).output as AnyTensor;
    };
    return {
      inputs: [chance.normal(steps, batch, features)],
      f,
      options: { features, hidden, ...options },
      dtypes: ['float32'],
      roundings: 4,
    };
  };

export const sequences: Readonly<Record<string, Kind>> = {
  attention(chance) {
    const size = chance.pick(8, 16, 32, 40, 64, 80, 96, 128, 256);
    const [batch, heads, queries] = [chance.between(1, 4), chance.between(1, 6), chance.size()] as const;
    const groups = chance.pick(1, 1, heads);
    const causal = chance.pick(true, false, false);
    const keys = causal ? queries : chance.size() + 1;
    if (batch * heads * Math.max(queries, keys) * size > chance.most) return;
    const scores = chance.pick([queries, keys], [batch, 1, queries, keys], [batch, heads, queries, keys]);
    const masked = chance.pick('not', 'not', 'by choice', 'by numbers');
    const drawn = chance.normal(...scores);
    // The first key is always seen.
    const seen = cat(
      [ones([...scores.slice(0, -1), 1], { dtype: 'bool' }), drawn.greater(-1).narrow(-1, 1, keys - 1)] as never,
      -1,
    ) as AnyTensor;
    const f = (q: AnyTensor, k: AnyTensor, v: AnyTensor): AnyTensor => {
      const mask =
        masked === 'by choice'
          ? { mask: seen.to(q.device) }
          : masked === 'by numbers'
            ? { mask: drawn.to(q.device).cast(q.dtype) }
            : {};
      return scaledDotProductAttention(q, k, v, { causal, ...mask });
    };
    return {
      inputs: [heads, heads / groups, heads / groups].map((each, i) =>
        chance.normal(batch, each, i === 0 ? queries : keys, size),
      ),
      f,
      options: { causal, masked },
      // Probabilities and their gradients are rounded too.
      roundings: 8,
    };
  },
  'rotary positions'(chance) {
    const [batch, heads, steps, pairs] = [6, 6, 100, 40].map((most) => chance.size(most)) as [
      number,
      number,
      number,
      number,
    ];
    if (batch * heads * steps * pairs * 2 > chance.most) return;
    return { inputs: [chance.normal(batch, heads, steps, 2 * pairs)], f: (x) => rotaryEmbedding(x), roundings: 4 };
  },
  'Fourier transforms'(chance) {
    const op = chance.pick('rfft', 'irfft', 'fft', 'ifft');
    const isReal = op === 'rfft';
    const shape = chance.shape(4, 0.25);
    const axis = chance.between(0, shape.length - 1);
    const bins = shape[axis]!;
    const n = chance.happens(0.7) ? undefined : chance.size(2 * bins);
    const options = { axis, norm: 'ortho', ...(n !== undefined && { n }) };
    if (op === 'irfft' && n === undefined && bins === 1) return;
    return {
      inputs: [isReal ? chance.normal(...shape) : chance.normal(...shape, 2)],
      f: (x) => ops[op](x, options),
      options: { op, ...options },
      dtypes: ['float32'],
    };
  },
  'linear recurrences'(chance) {
    const shape = chance.shape();
    const options = { axis: chance.between(0, shape.length - 1), reverse: chance.happens(0.5) };
    return {
      inputs: [chance.normal(...chance.narrowed(shape)), chance.normal(...shape)],
      f: (a, b) => ops.linearScan(a.sigmoid() as AnyTensor, b, options),
      options,
      // Of rounded factors the powers are further and further off.
      dtypes: ['float32'],
      terms: 4,
    };
  },
  lstm: recurrent('LSTM'),
  gru: recurrent('GRU'),
  rnn: recurrent('RNN'),
};
