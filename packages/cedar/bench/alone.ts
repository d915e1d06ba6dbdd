// Our engine alone on one workload in one mode, for a profiler or a change to be tried:
// node --conditions=@countersign/source --cpu-prof packages/cedar/bench/alone.ts bank-20|gdrive-50|… parsed|objects|… [seconds]
import { bankWorkload } from './bank-set.ts';
import { countersign } from './engines/countersign.ts';
import type { Mode } from './engines/engine.ts';
import { duration } from './report.ts';
import { figures } from './sample.ts';
import { gdrive } from './workloads/gdrive.ts';
import { github } from './workloads/github.ts';
import { paperWorkload } from './workloads/paper-workload.ts';
import { tinytodo } from './workloads/tinytodo.ts';
import type { Workload } from './workloads/workload.ts';

const [name = 'bank-20', mode = 'parsed', seconds = '3'] = process.argv.slice(2);
const engine = await countersign(workloadOf(name));
const found = figures(await engine.measure(mode as Mode, Number(seconds)));
process.stdout.write(
  `${name} ${mode}: p50 ${duration(found.batchP50Ns)}, p99 ${duration(found.batchP99Ns)} by batches; p50 ${duration(found.singleP50Ns)}, p99 ${duration(found.singleP99Ns)} one by one\n`,
);

function workloadOf(workload: string): Workload {
  const [family, size] = workload.split('-');
  if (family === 'bank') return bankWorkload(Number(size));
  const application = [gdrive, github, tinytodo].find((one) => one.name === family);
  if (application === undefined) throw new Error(`could not measure: found workload '${workload}'`);
  return paperWorkload(application, Number(size), { hierarchies: 10, requests: 50, seed: 2024 });
}
