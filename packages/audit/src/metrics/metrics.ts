/** Labels of one sample. */
export type Labels = Readonly<Record<string, string>>;

/** What a gauge or counter reads when it is asked: one value, or one for each set of labels. */
export type Reading = number | undefined | readonly (readonly [Labels, number])[];

/** Distribution of what was observed, in buckets that are fixed when it is made. */
export interface Histogram {
  observe(value: number): void;
}

/** What a process tells of itself. */
export interface Metrics {
  /** A value that goes up and down, read when the metrics are asked for. */
  gauge(name: string, help: string, read: () => Reading | Promise<Reading>): void;
  /** A count since the start of the process, read when the metrics are asked for. */
  counter(name: string, help: string, read: () => Reading | Promise<Reading>): void;
  /** @param bounds upper bounds of the buckets, ascending; the last, without bound, is added */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** All of it, in Prometheus' text format 0.0.4. What cannot be read just now is left out. */
  text(): Promise<string>;
}

/** What goes with {@link Metrics.text} as `content-type`. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const NAME = /^[a-z_][a-z0-9_]*$/;

/**
 * Makes an empty registry. Nothing is pushed and nothing sampled: values are read when somebody asks, so
 * that metrics cost the append path one addition for each commit.
 *
 * @see Prometheus, "Exposition formats", text format 0.0.4
 */
export function createMetrics(): Metrics {
  const families = new Map<string, () => Promise<string>>();
  const add = (
    { name, help, type }: { readonly name: string; readonly help: string; readonly type: string },
    samples: () => Promise<string>,
  ): void => {
    if (!NAME.test(name) || families.has(name)) {
      throw new TypeError(`found metric '${name}', expected a name of its own`);
    }
    const head = `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
    families.set(name, async () => {
      const text = await samples().catch(() => '');
      return text === '' ? '' : head + text;
    });
  };
  const read =
    (name: string, from: () => Reading | Promise<Reading>) => async (): Promise<string> => {
      const value = await from();
      if (value === undefined) return '';
      const list = typeof value === 'number' ? [[{}, value] as const] : value;
      return list.map(([labels, each]) => sample(name, labels, each)).join('');
    };
  return {
    gauge: (name, help, from) => add({ name, help, type: 'gauge' }, read(name, from)),
    counter: (name, help, from) => add({ name, help, type: 'counter' }, read(name, from)),
    histogram(name, help, bounds) {
      const counts = new Array<number>(bounds.length + 1).fill(0);
      let sum = 0;
      add({ name, help, type: 'histogram' }, async () => {
        let below = 0;
        const buckets = counts.map((count, at) => {
          below += count;
          const le = at < bounds.length ? String(bounds[at]) : '+Inf';
          return sample(`${name}_bucket`, { le }, below);
        });
        return `${buckets.join('')}${sample(`${name}_sum`, {}, sum)}${sample(`${name}_count`, {}, below)}`;
      });
      return {
        observe(value) {
          const found = bounds.findIndex((bound) => value <= bound);
          const at = found < 0 ? bounds.length : found;
          counts[at] = (counts[at] ?? 0) + 1;
          sum += value;
        },
      };
    },
    async text() {
      const texts = await Promise.all([...families.values()].map((family) => family()));
      return texts.join('');
    },
  };
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  const number = value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
