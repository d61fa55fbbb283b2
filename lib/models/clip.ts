/** CLIP: an encoder of images and one of texts, whose results are alike where they belong together. */
import { ShapeError } from '../errors';
import { Conv2d } from '../nn/convolution';
import { Embedding } from '../nn/embedding';
import { normal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, Parameter, type StateDict } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { checkSizes } from '../nn/options';
import { TransformerEncoder, TransformerEncoderLayer, type TransformerLayerOptions } from '../nn/transformer';
import { arange, empty, tensor } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { crossEntropy } from '../ops/losses';
import { cat } from '../ops/movement';
import { checkChoice, checkCount } from '../tensor/checks';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { clipOptions, clipTranslation } from './clip-config';
import { checkTokens, type LanguageModelCall } from './generation/language-model';
import { initialize } from './initialize';
import { readPublished, translated } from './published';

export interface CLIPOptions {
  /** Of what images and texts become; 512 unless given. */
  readonly size?: number;
  /** Height and width of the images; 224 unless given. */
  readonly imageSize?: number;
  /** Height and width of a patch; 32 unless given. What is left over at the right and below is not seen. */
  readonly patchSize?: number;
  /** Of the images; 3 unless given. */
  readonly channels?: number;
  /** Features of a patch; 768 unless given. */
  readonly imageWidth?: number;
  /** 12 unless given. */
  readonly imageLayers?: number;
  /** 12 unless given. */
  readonly imageHeads?: number;
  /** Of the feed-forward parts; four times `imageWidth` unless given. */
  readonly imageHidden?: number;
  /** How many tokens there are; 49,408 unless given. */
  readonly vocabulary?: number;
  /** The longest text; 77 unless given. */
  readonly context?: number;
  /** Features of a token; 512 unless given. */
  readonly textWidth?: number;
  /** 12 unless given. */
  readonly textLayers?: number;
  /** 8 unless given. */
  readonly textHeads?: number;
  /** Of the feed-forward parts; four times `textWidth` unless given. */
  readonly textHidden?: number;
  /** The token whose features, where it first stands, are those of a text; the one with the highest number unless given. */
  readonly end?: number | undefined;
  /** Of the feed-forward parts: x · sigmoid(1.702 · x) or gelu; `'quickGelu'` unless given. */
  readonly activation?: 'quickGelu' | 'gelu';
  /** Of the norms; 1e-5 unless given. */
  readonly epsilon?: number;
}

export interface CLIPEncodeOptions {
  /** Whether the results have length 1, so that products of them are cosines; true unless given. */
  readonly normalized?: boolean;
}

export interface CLIPTextOptions extends CLIPEncodeOptions, Pick<LanguageModelCall, 'keyMask'> {}

type Sizes = Required<Omit<CLIPOptions, 'end'>> & CLIPOptions;

const quickGelu = (x: AnyTensor): AnyTensor => x.mul(x.mul(1.702).sigmoid()) as AnyTensor;

function encoderOf(sizes: Sizes, width: number, heads: number, hidden: number, layers: number): TransformerEncoder {
  const { epsilon } = sizes;
  const activation = sizes.activation === 'gelu' ? 'gelu' : quickGelu;
  const options: TransformerLayerOptions = { hidden, dropout: 0, activation, normFirst: true, epsilon };
  const norm = new LayerNorm(width, { epsilon });
  return new TransformerEncoder(() => new TransformerEncoderLayer(width, heads, options), layers, { norm });
}

/** Patches of an image and a token that stands before them, whose features are those of the image. */
class CLIPImages extends Module {
  readonly classToken: Parameter;
  readonly patches: Conv2d;
  readonly positions: Embedding;
  readonly norm: LayerNorm;
  readonly encoder: TransformerEncoder;
  readonly #shape: readonly number[];

  constructor(sizes: Sizes) {
    super();
    const { imageSize, patchSize, channels, imageWidth, imageHeads, imageHidden, imageLayers, epsilon } = sizes;
    this.classToken = new Parameter(normal_(empty([imageWidth]), 0, 0.02));
    this.patches = new Conv2d(channels, imageWidth, patchSize, { stride: patchSize, bias: false });
    this.positions = new Embedding(1 + Math.floor(imageSize / patchSize) ** 2, imageWidth);
    this.norm = new LayerNorm(imageWidth, { epsilon });
    this.encoder = encoderOf(sizes, imageWidth, imageHeads, imageHidden, imageLayers);
    this.#shape = [channels, imageSize, imageSize];
  }

  /** images [b, channels, height, width]: [b, imageWidth] */
  forward(images: AnyTensor): AnyTensor {
    checkTensor('CLIP', images, 'images');
    const [b, ...rest] = images.shape;
    if (images.rank !== 4 || rest.some((size, i) => size !== this.#shape[i])) {
      throw new ShapeError(`CLIP: images: got shape ${show(images.shape)}, expected [b, ${this.#shape.join(', ')}]`);
    }
    const patches = this.patches.forward(images).flatten(2).transpose(1, 2);
    const first = this.classToken.expand([b!, 1, this.classToken.size]);
    const tokens = cat([first, patches], 1);
    const places = arange(tokens.shape[1]!, { dtype: 'int32', device: images.device });
    const placed = tokens.add(this.positions.forward(places)) as AnyTensor;
    return this.encoder.forward(this.norm.forward(placed)).select(1, 0);
  }
}

/** Tokens that see those before them, so that the last one has seen the text. */
class CLIPTexts extends Module {
  readonly tokens: Embedding;
  readonly positions: Embedding;
  readonly encoder: TransformerEncoder;
  readonly #end: number | undefined;

  constructor(sizes: Sizes) {
    super();
    const { vocabulary, context, textWidth, textHeads, textHidden, textLayers } = sizes;
    this.tokens = new Embedding(vocabulary, textWidth);
    this.positions = new Embedding(context, textWidth);
    this.encoder = encoderOf(sizes, textWidth, textHeads, textHidden, textLayers);
    this.#end = sizes.end;
  }

  /** tokens [b, t]: [b, textWidth] */
  forward(tokens: AnyTensor, keyMask: AnyTensor | undefined): AnyTensor {
    const length = checkTokens('CLIP', tokens, 0, this.positions.count);
    const [b] = tokens.shape as [number];
    const places = arange(length, { dtype: 'int32', device: tokens.device });
    const placed = this.tokens.forward(tokens).add(this.positions.forward(places));
    const features = this.encoder.forward(placed, { causal: true, keyMask });
    const ends = this.#end === undefined ? tokens : tokens.equalTo(this.#end).cast('int32');
    const rows = arange(b, { dtype: 'int64', device: tokens.device }).mul(length).add(ends.argmax(1)) as AnyTensor;
    return features.flatten(0, 1).indexSelect(0, rows) as AnyTensor;
  }
}

/**
 * CLIP: images and texts to vectors of one space, where those that belong together are alike. Sizes are those of clip-vit-base-patch32 unless given.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for images of another size and texts longer than the context.
 * @see Radford et al., 2021, Learning transferable visual models from natural language supervision.
 * @example
 * const model = new models.CLIP({
 *   size: 16, imageSize: 32, patchSize: 8, imageWidth: 32, imageLayers: 1, imageHeads: 4, vocabulary: 100, context: 8, textWidth: 32, textLayers: 1, textHeads: 4,
 * });
 * const [images, texts] = [randn([2, 3, 32, 32]), randint(0, 100, [3, 5])];
 * model.encodeImage(images).matmul(model.encodeText(texts).transpose()).shape; // [2, 3], cosines
 * model.forward(images, texts).softmax(1).shape; // [2, 3], how likely each text is for each image
 * model.loss(images, texts.narrow(0, 0, 2)).backward();
 */
export class CLIP extends Module {
  readonly images: CLIPImages;
  readonly texts: CLIPTexts;
  readonly imageProjection: Linear;
  readonly textProjection: Linear;
  /** The logarithm of what cosines are multiplied by, 0-d. */
  readonly logitScale: Parameter;

  constructor(options: CLIPOptions = {}) {
    super();
    checkOptions('CLIP', options);
    const { imageWidth = 768, textWidth = 512 } = options;
    const sizes: Sizes = {
      size: 512,
      imageSize: 224,
      patchSize: 32,
      channels: 3,
      imageWidth,
      imageLayers: 12,
      imageHeads: 12,
      imageHidden: 4 * imageWidth,
      vocabulary: 49408,
      context: 77,
      textWidth,
      textLayers: 12,
      textHeads: 8,
      textHidden: 4 * textWidth,
      activation: 'quickGelu',
      epsilon: 1e-5,
      ...options,
    };
    const { size, imageSize, patchSize, channels, vocabulary, end } = sizes;
    checkSizes('CLIP', { size, imageSize, patchSize, channels });
    checkChoice('CLIP', 'activation', sizes.activation, ['quickGelu', 'gelu']);
    if (end !== undefined) checkCount('CLIP', 'end', end, 0, vocabulary - 1);
    this.images = new CLIPImages(sizes);
    this.texts = new CLIPTexts(sizes);
    this.imageProjection = new Linear(imageWidth, size, { bias: false });
    this.textProjection = new Linear(textWidth, size, { bias: false });
    this.logitScale = new Parameter(tensor(Math.log(1 / 0.07)));
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is clip. Dropout is left out.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a CLIP, or ask for what `CLIPOptions` does not have.
   */
  static async load(folder: string): Promise<CLIP> {
    const { config, weights } = await readPublished('CLIP', folder);
    const model = new CLIP(clipOptions(config));
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('CLIP', weights, clipTranslation));
  }

  /**
   * images [b, channels, height, width], whose channels are normalised as the model was trained (`data.augment.normalize`): [b, size].
   *
   * @example
   * // As OpenAI's models were trained.
   * const prepare = data.augment.compose(
   *   data.augment.toFloat(),
   *   data.augment.normalize([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
   * );
   */
  encodeImage(images: AnyTensor, options: CLIPEncodeOptions = {}): AnyTensor {
    checkOptions('CLIP', options, 'CLIP.encodeImage');
    return finished(this.imageProjection.forward(this.images.forward(images)), options);
  }

  /**
   * tokens [b, t], each text with its end token, as `data.text.loadTokenizer` makes them by the model's `tokenizer.json`: [b, size]. What stands behind the end
   * is seen by nothing, so that any token may fill texts up; `keyMask` [b, t] hides what stands before.
   */
  encodeText(tokens: AnyTensor, options: CLIPTextOptions = {}): AnyTensor {
    checkOptions('CLIP', options, 'CLIP.encodeText');
    return finished(this.textProjection.forward(this.texts.forward(tokens, options.keyMask)), options);
  }

  /** The cosines of images [b, channels, height, width] and texts [c, t], times a trained scale: [b, c]. */
  forward(images: AnyTensor, tokens: AnyTensor, call: Pick<LanguageModelCall, 'keyMask'> = {}): AnyTensor {
    checkOptions('CLIP', call, 'CLIP.forward');
    const [image, text] = [this.encodeImage(images), this.encodeText(tokens, call)];
    return image.matmul(text.transpose()).mul(this.logitScale.exp()) as AnyTensor;
  }

  /** The mean cross entropy of finding the text of each image, and the image of each text, among those of the batch; image i belongs to text i. 0-d. */
  loss(images: AnyTensor, tokens: AnyTensor, options: Pick<LanguageModelCall, 'keyMask'> = {}): AnyTensor {
    checkOptions('CLIP', options, 'CLIP.loss');
    const logits = this.forward(images, tokens, options);
    const [b, c] = logits.shape as [number, number];
    if (b !== c) throw new ShapeError(`CLIP: loss: got ${b} images and ${c} texts, expected as many of both`);
    const own = arange(b, { dtype: 'int64', device: logits.device }) as never;
    return crossEntropy(logits, own).add(crossEntropy(logits.transpose(), own)).div(2) as AnyTensor;
  }
}

const finished = (x: AnyTensor, { normalized = true }: CLIPEncodeOptions): AnyTensor =>
  normalized ? (x.div(x.square().sum(-1, { keepDims: true }).sqrt()) as AnyTensor) : x;
