// Run by each of several processes: trains until the last one, which counts on its steps, kills itself. The others print what they are told, and how
// long after the kill.
import { distributed, ones } from '../../lib/index';

distributed.init();
const [rank, world] = [distributed.rank(), distributed.worldSize()];

async function main(): Promise<void> {
  for (let step = 0; ; step++) {
    if (step === 20 && rank === world - 1) process.kill(process.pid, 'SIGKILL');
    const start = Date.now();
    try {
      await distributed.allReduce(ones([300_000])).data();
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      console.log(JSON.stringify({ code, message, waited: Date.now() - start }));
      return;
    }
  }
}
void main();
