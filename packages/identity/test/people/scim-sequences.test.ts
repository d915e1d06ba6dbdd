import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openDirectory } from './directory.ts';

interface Step {
  readonly step: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  readonly expect?: object;
  readonly absent?: readonly string[];
  readonly save?: string;
}

test.each(['entra', 'okta'])(
  'answers what %s asks, from the first request to the last',
  async (client) => {
    const file = new URL(`../vectors/scim/${client}.json`, import.meta.url);
    const steps: readonly Step[] = JSON.parse(readFileSync(file, 'utf8'));
    const directory = await openDirectory();
    const saved = new Map<string, string>();
    const filled = <T>(value: T): T =>
      JSON.parse(
        JSON.stringify(value).replaceAll(
          /\$\{(\w+)\}/g,
          (_, name: string) => saved.get(name) ?? '?',
        ),
      ) as T;
    try {
      for (const step of steps) {
        const { method, path, body, expect: expected, absent = [] } = filled(step);
        const url = path.replace(/ /g, '%20').replace(/"/g, '%22');
        const answer = await directory.call(method, url, body, { client });
        expect(answer.status, `${step.step}: ${JSON.stringify(answer.body)}`).toBe(step.status);
        if (expected) expect(answer.body, step.step).toMatchObject(expected);
        for (const name of absent) expect(answer.body, step.step).not.toHaveProperty(name);
        if (step.save) saved.set(step.save, answer.body.id);
      }
      expect(steps.length).toBeGreaterThan(15);
    } finally {
      await directory.close();
    }
  },
);
