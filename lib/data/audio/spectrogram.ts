/** The power spectrogram: the squared magnitude of the spectra of frames under Hann's window. */
import { hannWindow } from '../../ops/signal-windows';
import { stft } from '../../ops/stft';
import type { AnyTensor } from '../../tensor/tensor';

/** [..., time] → [..., frame / 2 + 1, frames]: |DFT(w · x)|², frames centred on every `hop`-th sample, the ends mirrored. */
export function powerSpectrogram(waveform: AnyTensor, frame: number, hop: number): AnyTensor {
  // Transforms know no 16-bit floats.
  const x: AnyTensor = waveform.dtype === 'float64' ? waveform : waveform.cast('float32');
  const window = hannWindow(frame, { dtype: x.dtype, device: x.device });
  const spectra: AnyTensor = stft(x, frame, { hopLength: hop, window });
  return spectra.square().sum(-1).cast(waveform.dtype) as AnyTensor;
}
