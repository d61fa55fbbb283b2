/** The vision Transformer: an image as a sequence of patches. */
import { noGrad } from '../autograd/modes';
import { ArgumentError, ShapeError } from '../errors';
import { Conv2d } from '../nn/convolution';
import { normal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, Parameter, type StateDict } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { TransformerEncoder, TransformerEncoderLayer } from '../nn/transformer';
import { checkOptions, checkTensor } from '../ops/define';
import { empty } from '../ops/creation';
import { interpolate } from '../ops/interpolate';
import { cat } from '../ops/movement';
import { checkCount } from '../tensor/checks';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkConfigured, configured, readPublished, translated, type Translation } from './published';

export interface ViTOptions {
  /** Height and width of the images; 224 unless given. */
  readonly imageSize?: number;
  /** Height and width of a patch, a divisor of them; 16 unless given. */
  readonly patchSize?: number;
  /** Of the images; 3 unless given. */
  readonly channels?: number;
  /** Features of a patch; 768 unless given. */
  readonly width?: number;
  /** 12 unless given. */
  readonly layers?: number;
  /** 12 unless given. */
  readonly heads?: number;
  /** Of the feed-forward parts; four times the width unless given. */
  readonly hidden?: number;
  /** Of patches, attention weights and the layers' results, in training; 0 unless given. */
  readonly dropout?: number;
  /** Of the norms; 1e-6 unless given. */
  readonly epsilon?: number;
  /** 1,000 unless given. */
  readonly numClasses?: number;
}

const published: Translation = {
  prefix: 'vit.',
  left: /^pooler\./,
  names: [
    // As the library transformers calls them.
    [/^embeddings\.cls_token$/, 'class_token'],
    [/^embeddings\.position_embeddings$/, 'positions'],
    [/^embeddings\.patch_embeddings\.projection\./, 'patches.'],
    [/^encoder\.layer\./, 'encoder.layers.'],
    [/\.attention\.attention\.query\.(weight|bias)$/, '.self_attn.in_proj_$1#0'],
    [/\.attention\.attention\.key\.(weight|bias)$/, '.self_attn.in_proj_$1#1'],
    [/\.attention\.attention\.value\.(weight|bias)$/, '.self_attn.in_proj_$1#2'],
    [/\.attention\.output\.dense\./, '.self_attn.out_proj.'],
    [/\.layernorm_before\./, '.norm1.'],
    [/\.layernorm_after\./, '.norm2.'],
    [/\.intermediate\.dense\./, '.linear1.'],
    [/\.output\.dense\./, '.linear2.'],
    [/^layernorm\./, 'encoder.norm.'],
    [/^classifier\./, 'head.'],
    // As torchvision does.
    [/^conv_proj\./, 'patches.'],
    [/^encoder\.pos_embedding$/, 'positions'],
    [/^encoder\.layers\.encoder_layer_/, 'encoder.layers.'],
    [/\.self_attention\./, '.self_attn.'],
    [/\.ln_(\d)\./, '.norm$1.'],
    [/\.mlp\.(?:0|linear_1)\./, '.linear1.'],
    [/\.mlp\.(?:3|linear_2)\./, '.linear2.'],
    [/^encoder\.ln\./, 'encoder.norm.'],
    [/^heads\.head\./, 'head.'],
  ],
};

/**
 * The vision Transformer: images [b, channels, height, width] to logits [b, numClasses], from the features of a token that stands before the patches.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for images of another size.
 * @see Dosovitskiy et al., 2021, An image is worth 16x16 words.
 * @example
 * const model = new models.ViT({ imageSize: 32, patchSize: 8, width: 16, layers: 2, heads: 4, numClasses: 10 });
 * model.forward(zeros([2, 3, 32, 32])).shape; // [2, 10]
 */
export class ViT extends Module {
  readonly imageSize: number;
  readonly channels: number;
  readonly classToken: Parameter;
  readonly positions: Parameter;
  readonly patches: Conv2d;
  readonly drop: Dropout;
  readonly encoder: TransformerEncoder;
  head: Linear;

  constructor(options: ViTOptions = {}) {
    super();
    checkOptions('ViT', options);
    const { imageSize = 224, patchSize = 16, channels = 3, width = 768, layers = 12, heads = 12 } = options;
    const { hidden = 4 * width, dropout = 0, epsilon = 1e-6, numClasses = 1000 } = options;
    checkCount('ViT', 'imageSize', imageSize, 1);
    checkCount('ViT', 'patchSize', patchSize, 1);
    if (imageSize % patchSize !== 0) {
      throw new ArgumentError(`ViT: patchSize: got ${patchSize}, expected a divisor of the image size ${imageSize}`);
    }
    this.imageSize = imageSize;
    this.channels = channels;
    this.patches = new Conv2d(channels, width, patchSize, { stride: patchSize });
    this.classToken = new Parameter(empty([1, 1, width]));
    this.positions = new Parameter(empty([1, 1 + (imageSize / patchSize) ** 2, width]));
    this.drop = new Dropout(dropout);
    this.encoder = new TransformerEncoder(
      () =>
        new TransformerEncoderLayer(width, heads, { hidden, dropout, activation: 'gelu', normFirst: true, epsilon }),
      layers,
      { norm: new LayerNorm(width, { epsilon }) },
    );
    this.head = new Linear(width, numClasses);
    for (const [name, parameter] of this.namedParameters()) {
      if (parameter.rank > 1) normal_(parameter, 0, 0.02);
      else if (name.endsWith('bias')) zeros_(parameter);
    }
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's).
   * `imageSize` is for images of another size than it was trained on; see {@link ViT.loadPublished}.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a vision Transformer that classifies.
   */
  static async load(folder: string, options: Pick<ViTOptions, 'imageSize'> = {}): Promise<ViT> {
    checkOptions('ViT', options, 'ViT.load');
    const { config, weights } = await readPublished('ViT', folder);
    checkConfigured('ViT', config, { model_type: ['vit'], hidden_act: ['gelu'], qkv_bias: [true] });
    const number = (name: string, fallback?: number): number => configured('ViT', config, name, fallback);
    const model = new ViT({
      imageSize: options.imageSize ?? number('image_size', 224),
      patchSize: number('patch_size', 16),
      channels: number('num_channels', 3),
      width: number('hidden_size'),
      layers: number('num_hidden_layers'),
      heads: number('num_attention_heads'),
      hidden: number('intermediate_size'),
      dropout: number('hidden_dropout_prob', 0),
      epsilon: number('layer_norm_eps', 1e-12),
      numClasses: weights['classifier.weight']?.shape[0] ?? 2,
    });
    model.loadPublished(weights);
    return model.eval();
  }

  /**
   * Takes over weights under the names of the library transformers or of torchvision. Positions of a grid of another size are interpolated (bicubic), as for
   * fine-tuning on larger images.
   */
  loadPublished(weights: Readonly<StateDict>): void {
    const own = translated('ViT', weights, published);
    const positions = own['positions'];
    if (positions?.rank === 3) own['positions'] = noGrad(() => onGrid(positions, this.positions.shape[1]!));
    this.loadStateDict(own);
  }

  /** The features of the class token and of every patch, row by row: [b, 1 + patches, width]. */
  features(x: AnyTensor): AnyTensor {
    checkTensor('ViT', x);
    const { imageSize, channels } = this;
    const [b] = x.shape;
    if (x.rank !== 4 || x.shape[1] !== channels || x.shape[2] !== imageSize || x.shape[3] !== imageSize) {
      const expected = `[b, ${channels}, ${imageSize}, ${imageSize}]`;
      throw new ShapeError(`ViT: input: got shape ${show(x.shape)}, expected ${expected}`, { shape: x.shape });
    }
    const patches = this.patches.forward(x).flatten(2).transpose(1, 2);
    const first = this.classToken.expand([b!, 1, this.classToken.shape[2]!]);
    return this.encoder.forward(this.drop.forward(cat([first, patches], 1).add(this.positions)));
  }

  forward(x: AnyTensor): AnyTensor {
    return this.head.forward(this.features(x).select(1, 0));
  }
}

/** Positions [1, 1 + n², width] as so many, those of the patches interpolated on their grid. */
function onGrid(positions: AnyTensor, count: number): AnyTensor {
  const [, known, width] = positions.shape as [number, number, number];
  const [from, to] = [Math.sqrt(known - 1), Math.sqrt(count - 1)];
  if (known === count || !Number.isInteger(from)) return positions;
  const grid = positions
    .narrow(1, 1, known - 1)
    .transpose(1, 2)
    .reshape([1, width, from, from]);
  const resized: AnyTensor = interpolate(grid, { size: [to, to], mode: 'bicubic' });
  return cat([positions.narrow(1, 0, 1), resized.flatten(2).transpose(1, 2)], 1);
}
