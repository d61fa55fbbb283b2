// Closes threads whose answers have not been looked at, and says when they are closed; with nothing else that keeps the process alive.
import { join } from 'node:path';
import { data } from '../../../lib/index';

void (async () => {
  const set = await data.openWorkers(join(__dirname, 'items.ts'), {
    argument: 'numbered',
    execArgv: ['--require', 'tsx/cjs'],
  });
  set.get(0).catch(() => {});
  const start = performance.now();
  while (performance.now() - start < 300); // the answer comes meanwhile
  await set.close();
  console.log('closed');
})();
