/**
 * Llama and its relatives Mistral, Mixtral, Qwen, OLMo, Granite, SmolLM, Phi and Gemma: Transformers that predict the next token, with rotary positions, grouped
 * queries and gated feed-forward parts, or many of these of which each token uses a few.
 */
import { ArgumentError } from '../errors';
import { Embedding } from '../nn/embedding';
import { Linear } from '../nn/linear';
import { Module, type StateDict } from '../nn/module';
import { AttentionCache, MultiHeadAttention, type AttentionCall } from '../nn/multi-head-attention';
import { RMSNorm, type RMSNormOptions } from '../nn/normalization';
import { checkPositive, checkSizes } from '../nn/options';
import { tensor } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { writtenActivations, type FeedForwardActivation } from '../ops/feed-forward';
import { linearCrossEntropy } from '../ops/linear-cross-entropy';
import { linear } from '../ops/matmul';
import type { RotaryScaling } from '../ops/rotary';
import { checkChoice, checkCount, checkFinite } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { balanceLoss, GatedExperts, type Routing } from './gated-experts';
import { GatedFeedForward } from './gated-feed-forward';
import {
  checkTokens,
  type LanguageModel,
  type LanguageModelCall,
  type LanguageModelLossOptions,
} from './generation/language-model';
import { initialize } from './initialize';
import { publishedOptions, translationOf } from './llama-config';
import { readPublished, translated } from './published';
import { softCapped, softCappedCrossEntropy } from './soft-cap';

export interface LlamaOptions {
  /** How many tokens there are; 32,000 unless given. */
  readonly vocabulary?: number;
  /** The longest sequence; 2,048 unless given. */
  readonly context?: number;
  /** Features of a token; 2,048 unless given. */
  readonly width?: number;
  /** 22 unless given. */
  readonly layers?: number;
  /** Of the queries; 32 unless given. */
  readonly heads?: number;
  /** Of keys and values, each shared by as many queries; as many as `heads` unless given. */
  readonly keyHeads?: number;
  /** Features of a head; width / heads unless given. */
  readonly headSize?: number;
  /** Of the feed-forward parts; 5,632 unless given. */
  readonly hidden?: number;
  /** Of the norms; 1e-5 unless given. */
  readonly epsilon?: number;
  /**
   * How many feed-forward parts there are of which each token uses a few, as in Mixtral, in all layers or in each; 0, which is one part that all tokens use,
   * unless given.
   */
  readonly experts?: number | readonly number[];
  /** How many of these each token uses, the likeliest; 2 unless given. */
  readonly expertsPerToken?: number;
  /** Features within each of them; as `hidden` unless given. */
  readonly expertHidden?: number;
  /** Whether the shares of those that a token uses add up to 1; else each has its probability among all, as in OLMoE. True unless given. */
  readonly normalizedShares?: boolean;
  /** Features within one more beside them that all tokens use, as far as a gate of its own lets them, as in Qwen2-MoE; none unless given. */
  readonly sharedHidden?: number | undefined;
  /** Times this, what tells how unequally experts are used is added to `loss`; 0 unless given. */
  readonly balance?: number;
  /** Of the rotary positions, in all layers or in each; 10,000 unless given. */
  readonly rotaryBase?: number | readonly number[];
  /** How many features of each head are rotated, the first ones; all unless given. */
  readonly rotarySize?: number | undefined;
  /** Whether there are rotary positions, in all layers or in each: SmolLM3 has none in some; true unless given. */
  readonly rotary?: boolean | readonly boolean[];
  /** Slows the rotary positions down, as Llama 3.1, YaRN and LongRoPE do, in all layers or in each; none unless given. */
  readonly rotaryScaling?: RotaryScaling | readonly (RotaryScaling | undefined)[] | undefined;
  /** Whether the projections of attention add biases, as those of Qwen2; false unless given. */
  readonly attentionBias?: boolean;
  /** Whether the last of them adds one; as `attentionBias` unless given, false for Qwen2. */
  readonly outputBias?: boolean;
  /** Whether the feed-forward parts add biases; false unless given. */
  readonly hiddenBias?: boolean;
  /** Of the gate of the feed-forward parts; `'silu'` unless given. Gemma's is `'geluTanh'`. */
  readonly activation?: FeedForwardActivation;
  /** Whether norms scale by 1 + weight, as those of Gemma; false unless given. */
  readonly zeroCenteredNorm?: boolean;
  /** Whether queries and keys are normalised, in each head as in Qwen3, or all heads together as in OLMo 2; false unless given. */
  readonly queryKeyNorm?: boolean | 'acrossHeads';
  /** Of the scores of attention; 1 / √headSize unless given. */
  readonly attentionScale?: number | undefined;
  /** Keeps the scores of attention within ± so many, by a hyperbolic tangent, as in Gemma 2; see `nn.MultiHeadAttention`. None unless given. */
  readonly attentionSoftCap?: number | undefined;
  /** Keeps the logits within ± so many, as logitSoftCap · tanh(logit / logitSoftCap); none unless given. */
  readonly logitSoftCap?: number | undefined;
  /** Whether what attention and the feed-forward parts are given is normalised; true unless given, false in OLMo 2. */
  readonly preNorm?: boolean;
  /** Whether what they give is normalised before it is added, as in Gemma 2 and 3 and OLMo 2; false unless given. */
  readonly postNorm?: boolean;
  /** What they give is multiplied by this before it is added, as in Granite; 1 unless given. */
  readonly residualScale?: number;
  /** How many tokens each one sees, up to itself, as in Mistral: in all layers, or in each; all tokens unless given. */
  readonly window?: number | readonly (number | undefined)[] | undefined;
  /** Whether what the table holds for a token is multiplied by √width, rounded to its dtype, as in Gemma; or by what, as in Granite. False unless given. */
  readonly scaledEmbedding?: boolean | number;
  /** Of the logits, before they are capped, as in Granite; 1 unless given. */
  readonly logitScale?: number;
  /** Whether the table of tokens gives the logits too; false unless given. */
  readonly tied?: boolean;
}

/** What an option says of a layer, where it may say something else of each. */
const inLayer = <T>(option: T | readonly T[], layer: number): T =>
  Array.isArray(option) ? (option as readonly T[])[layer]! : (option as T);

function checkExperts(count: number, perToken: number): void {
  checkCount('Llama', 'experts', count, 0);
  checkCount('Llama', 'expertsPerToken', perToken);
  if (count === 0 || perToken <= count) return;
  throw new ArgumentError(`Llama: expertsPerToken: got ${perToken}, expected at most the ${count} experts`);
}

const normOptions = ({ epsilon, zeroCenteredNorm }: Sizes): RMSNormOptions => ({
  epsilon,
  zeroCentered: zeroCenteredNorm,
});

type WithoutDefault =
  | 'headSize'
  | 'rotarySize'
  | 'rotaryScaling'
  | 'attentionScale'
  | 'attentionSoftCap'
  | 'logitSoftCap'
  | 'sharedHidden'
  | 'window';
type Sizes = Required<Omit<LlamaOptions, WithoutDefault>> & LlamaOptions;

/** x + attention(norm(x)), then x + feedForward(norm(x)); what is added may be normalised and scaled first. */
class LlamaBlock extends Module {
  readonly norm1: RMSNorm | undefined;
  readonly selfAttn: MultiHeadAttention;
  readonly norm2: RMSNorm | undefined;
  readonly feedForward: GatedFeedForward | GatedExperts;
  readonly postNorm1: RMSNorm | undefined;
  readonly postNorm2: RMSNorm | undefined;
  readonly #residualScale: number;

  constructor(sizes: Sizes, layer: number) {
    super();
    const { width, heads, hidden, activation, rotaryBase, rotaryScaling, rotarySize, queryKeyNorm } = sizes;
    const norm = normOptions(sizes);
    const rotary = { base: inLayer(rotaryBase, layer), scaling: inLayer(rotaryScaling, layer), size: rotarySize };
    const experts = inLayer(sizes.experts, layer);
    if (sizes.preNorm) this.norm1 = new RMSNorm(width, norm);
    this.selfAttn = new MultiHeadAttention(width, heads, {
      keyHeads: sizes.keyHeads,
      headSize: sizes.headSize,
      bias: sizes.attentionBias,
      outputBias: sizes.outputBias,
      rotary: inLayer(sizes.rotary, layer) && rotary,
      queryKeyNorm: queryKeyNorm !== false && { ...norm, acrossHeads: queryKeyNorm === 'acrossHeads' },
      scale: sizes.attentionScale,
      softCap: sizes.attentionSoftCap,
      window: inLayer(sizes.window, layer),
    });
    if (sizes.preNorm) this.norm2 = new RMSNorm(width, norm);
    this.feedForward =
      experts === 0
        ? new GatedFeedForward(width, hidden, activation, sizes.hiddenBias)
        : new GatedExperts({
            count: experts,
            perToken: sizes.expertsPerToken,
            width,
            hidden: sizes.expertHidden,
            activation,
            normalized: sizes.normalizedShares,
            sharedHidden: sizes.sharedHidden,
          });
    if (sizes.postNorm) {
      this.postNorm1 = new RMSNorm(width, norm);
      this.postNorm2 = new RMSNorm(width, norm);
    }
    this.#residualScale = sizes.residualScale;
  }

  forward(x: AnyTensor, call: AttentionCall, routings?: Routing[]): AnyTensor {
    const normed = this.norm1?.forward(x) ?? x;
    const attended = this.added(x, this.selfAttn.forward(normed, normed, normed, call), this.postNorm1);
    const y = this.feedForward.forward(this.norm2?.forward(attended) ?? attended, routings);
    return this.added(attended, y, this.postNorm2);
  }

  private added(x: AnyTensor, y: AnyTensor, norm: RMSNorm | undefined): AnyTensor {
    const own = norm?.forward(y) ?? y;
    return x.add(this.#residualScale === 1 ? own : own.mul(this.#residualScale));
  }
}

/**
 * Llama: token numbers [b, t] to logits [b, t, vocabulary]. Sizes are those of TinyLlama 1.1B unless given. By its options it is Mistral, Mixtral, Qwen2,
 * Qwen2.5, Qwen3, Qwen2-MoE, Qwen3-MoE, OLMoE, OLMo 2, Granite, SmolLM3, Phi-3, Phi-3.5, Phi-4-mini, Gemma, Gemma 2 or Gemma 3 (text) too, which `load` reads.
 * Where there are experts, none leaves a token out, and a few tokens read the weights of those only that they use.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Touvron et al., 2023, Llama 2: open foundation and fine-tuned chat models; Jiang et al., 2023, Mistral 7B; Yang et al., 2024, Qwen2 technical report;
 * Yang et al., 2025, Qwen3 technical report; Abdin et al., 2024, Phi-3 technical report; Gemma team, 2024, Gemma: open models based on Gemini research and
 * technology; Gemma team, 2024, Gemma 2: improving open language models at a practical size; Gemma team, 2025, Gemma 3 technical report; Jiang et al., 2024,
 * Mixtral of experts; Muennighoff et al., 2024, OLMoE: open mixture-of-experts language models; OLMo team, 2024, 2 OLMo 2 Furious; Granite team, 2024, Granite
 * 3.0 language models.
 * @example
 * const model = new models.Llama({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, keyHeads: 2, hidden: 64 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).shape; // [2, 5, 100]
 * // Heads of another size, normalised as in Qwen3; a window in the second layer only; positions scaled by YaRN from 16 to 64.
 * const scaled = new models.Llama({
 *   vocabulary: 100, context: 64, width: 32, layers: 2, heads: 4, headSize: 12, hidden: 64, tied: true, queryKeyNorm: true, window: [undefined, 8],
 *   rotaryScaling: { kind: 'yarn', factor: 4, originalContext: 16 },
 * });
 * scaled.forward(zeros([1, 40], { dtype: 'int32' })).shape; // [1, 40, 100]
 * // What Gemma 3 has: windows and slower positions in turns.
 * const gemma = new models.Llama({
 *   vocabulary: 100, context: 64, width: 32, layers: 2, heads: 4, hidden: 64, tied: true, scaledEmbedding: true, zeroCenteredNorm: true, postNorm: true,
 *   queryKeyNorm: true, activation: 'geluTanh', window: [8, undefined], rotaryBase: [1e4, 1e6],
 * });
 * gemma.forward(zeros([1, 40], { dtype: 'int32' })).shape; // [1, 40, 100]
 * // Eight experts in the second layer, of which each token uses two.
 * const mixture = new models.Llama({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, hidden: 64, experts: [0, 8], balance: 0.01 });
 * const text = randint(0, 100, [2, 9]);
 * mixture.loss(text.narrow(1, 0, 8), text.narrow(1, 1, 8)).backward();
 */
export class Llama extends Module implements LanguageModel {
  readonly context: number;
  readonly rereadAfter: number | undefined;
  readonly tokens: Embedding;
  readonly blocks: readonly LlamaBlock[];
  readonly norm: RMSNorm;
  head: Linear | undefined;
  readonly #embeddingScale: number | undefined;
  readonly #logitScale: number;
  readonly #balance: number;
  readonly #logitSoftCap: number | undefined;

  constructor(options: LlamaOptions = {}) {
    super();
    checkOptions('Llama', options);
    const { heads = 32, attentionBias = false, hidden = 5632 } = options;
    const sizes: Sizes = {
      vocabulary: 32000,
      context: 2048,
      width: 2048,
      layers: 22,
      heads,
      keyHeads: heads,
      hidden,
      experts: 0,
      expertsPerToken: 2,
      expertHidden: hidden,
      normalizedShares: true,
      balance: 0,
      epsilon: 1e-5,
      rotaryBase: 10000,
      rotary: true,
      attentionBias,
      outputBias: attentionBias,
      hiddenBias: false,
      activation: 'silu',
      zeroCenteredNorm: false,
      queryKeyNorm: false,
      preNorm: true,
      postNorm: false,
      residualScale: 1,
      scaledEmbedding: false,
      logitScale: 1,
      tied: false,
      ...options,
    };
    const { vocabulary, width, layers, activation, logitSoftCap } = sizes;
    checkChoice('Llama', 'activation', activation, Object.keys(writtenActivations));
    if (logitSoftCap !== undefined) checkPositive('Llama', 'logitSoftCap', logitSoftCap);
    checkChoice('Llama', 'queryKeyNorm', sizes.queryKeyNorm, [true, false, 'acrossHeads']);
    const { residualScale, logitScale, balance, scaledEmbedding, experts, expertsPerToken, expertHidden } = sizes;
    for (const [name, number] of Object.entries({ residualScale, logitScale, balance })) {
      checkFinite('Llama', name, number);
    }
    for (const count of [experts].flat() as number[]) checkExperts(count, expertsPerToken);
    checkSizes('Llama', { expertHidden });
    const { window, rotary, rotaryBase, rotaryScaling } = sizes;
    for (const [name, list] of Object.entries({ experts, window, rotary, rotaryBase, rotaryScaling })) {
      if (!Array.isArray(list) || list.length === layers) continue;
      throw new ArgumentError(`Llama: ${name}: got ${list.length} of them, expected one for each of ${layers} layers`);
    }
    this.context = sizes.context;
    this.rereadAfter = [rotaryScaling].flat().find((each) => each?.kind === 'longrope')?.originalContext;
    this.tokens = new Embedding(vocabulary, width);
    this.blocks = Array.from({ length: layers }, (_, i) => new LlamaBlock(sizes, i));
    this.norm = new RMSNorm(width, normOptions(sizes));
    this.#embeddingScale = scaledEmbedding === true ? Math.sqrt(width) : scaledEmbedding || undefined;
    this.#logitScale = logitScale;
    this.#balance = balance;
    this.#logitSoftCap = logitSoftCap;
    if (!sizes.tied) this.head = new Linear(width, vocabulary, { bias: false });
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is llama, mistral, mixtral, qwen2, qwen3, qwen2_moe, qwen3_moe, olmoe, olmo2, granite, smollm3, phi3, gemma, gemma2 or gemma3_text. Scaled
   * positions let sequences grow to the length that they are scaled for. Dropout, and noise of routers, is left out.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model, or ask for what `LlamaOptions` does not have.
   */
  static async load(folder: string): Promise<Llama> {
    const { config, weights } = await readPublished('Llama', folder);
    const model = new Llama(publishedOptions(config));
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    const own = translated('Llama', weights, translationOf(this.blocks[0]?.postNorm1 !== undefined));
    if (this.head === undefined) delete own['head.weight'];
    this.loadStateDict(own);
  }

  makeCaches(): AttentionCache[] {
    return this.blocks.map(() => new AttentionCache());
  }

  forward(tokens: AnyTensor, call: LanguageModelCall = {}): AnyTensor {
    checkOptions('Llama', call, 'Llama.forward');
    const y = this.features(tokens, call);
    const logits = this.head === undefined ? linear(y, this.tokens.weight) : this.head.forward(y);
    return this.#logitSoftCap === undefined ? logits : softCapped(logits, this.#logitSoftCap);
  }

  /**
   * The cross entropy of the logits of `tokens` [b, t] and the tokens that follow each, `targets` [b, t], without all logits at once: by
   * `nn.functional.linearCrossEntropy`, whose memory and time it has. Capped logits are made some rows at a time too, and again in backward. With `balance` that
   * many times count · Σ f·p over the experts is added, with f the share of tokens that use one and p its mean probability over all layers and the tokens that
   * `keyMask` shows (Fedus, Zoph and Shazeer, 2021).
   */
  loss(tokens: AnyTensor, targets: AnyTensor, options: LanguageModelLossOptions = {}): AnyTensor {
    checkOptions('Llama', options, 'Llama.loss');
    const { keyMask, ...rest } = options;
    const routings: Routing[] | undefined = this.#balance === 0 ? undefined : [];
    const [y, { weight }] = [this.features(tokens, { keyMask }, routings), this.head ?? this.tokens];
    const loss =
      this.#logitSoftCap === undefined
        ? linearCrossEntropy(y, weight, targets, rest)
        : softCappedCrossEntropy(y, weight, targets, this.#logitSoftCap, rest);
    if (routings === undefined || routings.length === 0) return loss;
    const seen = keyMask?.dtype === 'bool' ? keyMask : keyMask?.greater(-Infinity);
    return loss.add(balanceLoss(routings, seen?.flatten().cast('float32')).mul(this.#balance)) as AnyTensor;
  }

  /** [b, t, width], of which the logits are made. */
  private features(tokens: AnyTensor, call: LanguageModelCall, routings?: Routing[]): AnyTensor {
    const { caches, keyMask, positions, lastOnly = false } = call;
    checkTokens('Llama', tokens, caches?.[0]?.length ?? 0, this.context);
    let x: AnyTensor = this.tokens.forward(tokens);
    if (this.#embeddingScale !== undefined) {
      const { dtype, device } = x;
      x = x.mul(tensor(this.#embeddingScale, { dtype, device })) as AnyTensor;
    }
    this.blocks.forEach((block, i) => {
      x = block.forward(x, { causal: true, cache: caches?.[i], keyMask, positions }, routings);
    });
    if (lastOnly) x = x.narrow(1, -1, 1);
    const y = this.norm.forward(x);
    return this.#logitScale === 1 ? y : (y.mul(this.#logitScale) as AnyTensor);
  }
}
