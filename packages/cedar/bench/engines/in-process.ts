import { sample } from '../sample.ts';
import type { Answer, Engine, Mode } from './engine.ts';

/** What V8 needs to have compiled all that is hot, before a mode is measured for the first time. */
const WARM_UP_SECONDS = 0.3;

/** An engine that is JavaScript, or WebAssembly, and decides on this thread. */
export function inProcess(engine: {
  name: string;
  count: number;
  modes: { readonly [mode in Mode]?: (index: number) => unknown };
  answer(index: number): Answer;
}): Engine {
  const { name, count, modes } = engine;
  const warm = new Set<Mode>();
  return {
    name,
    modes: Object.keys(modes) as Mode[],
    async answers() {
      return Array.from({ length: count }, (_, index) => engine.answer(index));
    },
    async measure(mode, seconds) {
      const decide = modes[mode];
      if (decide === undefined) throw new Error(`could not measure ${name}: found mode '${mode}'`);
      const warmUpSeconds = warm.has(mode) ? 0 : WARM_UP_SECONDS;
      warm.add(mode);
      return sample(decide, { count, seconds, warmUpSeconds });
    },
    async close() {},
  };
}
