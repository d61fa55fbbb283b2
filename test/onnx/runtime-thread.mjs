// Runs models by ONNX Runtime for browsers, in a thread: jest's contexts cannot load WebAssembly's modules.
import { parentPort } from 'node:worker_threads';
import * as ort from 'onnxruntime-web';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

parentPort.on('message', async ({ model, data, inputs }) => {
  try {
    const session = await ort.InferenceSession.create(model, data && { externalData: [data] });
    const feeds = Object.fromEntries(
      inputs.map(({ type, values, shape }, i) => [session.inputNames[i], new ort.Tensor(type, values, shape)]),
    );
    const results = await session.run(feeds);
    const outputs = session.outputNames.map((name) => {
      const { type, data: values, dims } = results[name];
      return { name, type, values, shape: dims };
    });
    await session.release();
    parentPort.postMessage({ outputs });
  } catch (error) {
    parentPort.postMessage({ error: error.message });
  }
});
