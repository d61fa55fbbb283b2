/**
 * Answers of networks that have been trained, of one request at a time, as a service gives them. The peer's are the better of eager and torch.compile, ours go
 * through `compile`; a continuation is eager on both sides.
 */
import { compile, models, nn, noGrad, scope, tensor } from 'hadal';
import type { AnyTensor } from 'hadal';

import { classes, fill, summary, wave, type Float, type Prepared, type Workload } from './harness';

/** `f`, which makes nothing that its scope should keep, without gradients. */
function answers(f: () => AnyTensor): Prepared {
  return { step: () => scope(() => void noGrad(f)), check: scope(() => summary(noGrad(f))) };
}

/** The answers of a network in evaluation mode to x. */
function predictor(model: nn.Module & { forward(x: AnyTensor): AnyTensor }, x: AnyTensor, dtype: Float): Prepared {
  fill(model);
  model.to(dtype).eval();
  const input = x.cast(dtype as 'float32');
  const predict = compile((given: AnyTensor) => noGrad(() => model.forward(given)));
  return answers(() => predict(input));
}

function resnet50(dtype: Float): Workload {
  return {
    name: dtype === 'bfloat16' ? 'resnet50 b1 bf16' : 'resnet50 b1',
    twin: ['resnet50_answers', dtype],
    dtype,
    reach: 1,
    tolerance: dtype === 'bfloat16' ? 5e-2 : 1e-3,
    prepare: () => predictor(new models.ResNet(50), wave([1, 3, 224, 224], 1), dtype),
  };
}

/** An encoder of BERT's size, [1, 128] tokens. */
function encoder(dtype: Float): Workload {
  return {
    name: dtype === 'bfloat16' ? 'encoder b1 bf16' : 'encoder b1',
    twin: ['encoder_answers', dtype],
    dtype,
    reach: 1,
    prepare() {
      const layers = Array.from({ length: 12 }, () => new nn.TransformerEncoderLayer(768, 12, { activation: 'gelu' }));
      return predictor(new nn.Sequential(...layers), wave([1, 128, 768], 1), dtype);
    },
  };
}

const [prompt, made] = [128, 16];

/** GPT-2 reads 128 tokens, and then 16 one by one, with what it attended to before cached. Its weights may be of 8 bits; the peer's are not. */
function continuation(dtype: Float, bits?: 8): Workload {
  return {
    name: `gpt2 continuation${dtype === 'bfloat16' ? ' bf16' : ''}${bits === undefined ? '' : `, ${bits} bits`}`,
    twin: ['gpt2_continuation', prompt, made, dtype],
    dtype,
    reach: 1,
    // Weights of 8 bits are off by 0.6 %.
    ...(bits !== undefined && { tolerance: 2e-2 }),
    prepare() {
      const model = new models.GPT2().to(dtype).eval();
      fill(model);
      if (bits !== undefined) nn.quantize(model, { bits });
      const tokens = tensor(classes(prompt + made, 50257)).reshape([1, -1]) as AnyTensor;
      return answers(() => {
        const caches = model.makeCaches();
        let logits = model.forward(tokens.narrow(1, 0, prompt), { caches });
        for (let i = prompt; i < prompt + made; i++) logits = model.forward(tokens.narrow(1, i, 1), { caches });
        return logits;
      });
    },
  };
}

export const workloads: Workload[] = (['float32', 'bfloat16'] as const).flatMap((dtype) => [
  resnet50(dtype),
  encoder(dtype),
  continuation(dtype),
  continuation(dtype, 8),
]);
