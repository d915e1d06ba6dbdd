import type { Row } from './compare.ts';
import type { Memory } from './memory.ts';
import { type Aim, duration, OURS, times } from './report.ts';

const RESIDENT_NS_MAX = 300;
const OBJECTS_NS_MAX = 2_000;
const GROWTH_MAX = 1.5;
const MEMORY_MB_MAX = 1_024;

/** What the room promises, held against a run. Those for which the run has no figures are left out. */
export function findAims(rows: readonly Row[], memory: Memory): readonly Aim[] {
  const p50 = (engine: string, mode: string, workload: string) =>
    rows.find((row) => row.engine === engine && row.mode === mode && row.workload === workload)
      ?.p50Ns;
  const aims: Aim[] = [];
  const below = (what: string, most: number, found: number | undefined, print = duration) => {
    if (found === undefined) return;
    aims.push({
      what,
      aim: `at most ${print(most)}`,
      found: print(found),
      isReached: found <= most,
    });
  };
  for (const count of [20, 10_000]) {
    below(
      `p50, ${count} policies, all resident`,
      RESIDENT_NS_MAX,
      p50(OURS, 'parsed', `bank-${count}`),
    );
    below(
      `p50, ${count} policies, request and entities from JSON`,
      OBJECTS_NS_MAX,
      p50(OURS, 'objects', `bank-${count}`),
    );
  }
  for (const mode of ['parsed', 'objects']) {
    const [few, many] = [p50(OURS, mode, 'bank-20'), p50(OURS, mode, 'bank-10000')];
    below(
      `growth of p50 from 20 to 10,000 policies, ${mode}`,
      GROWTH_MAX,
      few && many && many / few,
      times,
    );
  }
  for (const workload of new Set(rows.map((row) => row.workload))) {
    if (workload.startsWith('bank-')) continue;
    const [ours, native] = [p50(OURS, 'parsed', workload), p50('native cedar', 'parsed', workload)];
    if (ours === undefined || native === undefined) continue;
    aims.push({
      what: `${workload}, all resident`,
      aim: `ahead of native cedar (${duration(native)})`,
      found: `${duration(ours)}, ${times(native / ours)} ahead`,
      isReached: ours < native,
    });
  }
  below(
    'a million entities with four attributes',
    MEMORY_MB_MAX,
    (memory.bytesPerEntity * 1_000_000) / 2 ** 20,
    (megabytes) => `${Math.round(megabytes)} MB`,
  );
  return aims;
}
