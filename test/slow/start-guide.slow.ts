import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { expect, test } from 'vitest';

/** Ports that the guide names; the test takes others, which are free. */
const PORTS = ['7401', '7402', '8443', '9001'];

test('the start guide works as it is written', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cs-guide-'));
  try {
    const guide = await readFile('docs/start/README.md', 'utf8');
    const blocks = [...guide.matchAll(/^```sh(?: terminal=(\w+))?\n(.*?)^```/gms)];
    expect(blocks.length).toBeGreaterThan(12);
    const { code, output } = await runScript(await scriptOf(blocks, folder));
    expect(output).toContain('good: 0 errors, 0 warnings');
    expect(output).toMatch(/accounts: 1 in shadow, 0 would pass, 1 would be refused/);
    expect(output).toMatch(/accounts: 3 in shadow, 1 would pass, 2 would be refused/);
    const enforced = output.slice(output.indexOf('published: sequence 2'));
    const statuses = [...enforced.matchAll(/^\{?.*?(\d{3})$/gm)].map(([, status]) => status);
    // Three calls and the one to nowhere; before the revocation nothing, then refused, then well again.
    expect(statuses).toEqual(['200', '403', '403', '404', '401', '200']);
    expect(enforced).toContain('"title":"Not authenticated"');
    expect(enforced).toMatch(/^SAME$/m);
    expect(enforced).toMatch(/^PERMIT {2}policy-permits$/m);
    expect(enforced).toMatch(/^good {2}edge: \d+ entries/m);
    expect(enforced).not.toContain('BAD');
    expect([code, output.includes('rror:')]).toEqual([0, false]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** One bash script of all blocks: those of other terminals run beside it until it ends. */
async function scriptOf(blocks: readonly RegExpMatchArray[], folder: string): Promise<string> {
  const ports = await Promise.all(PORTS.map(freePort));
  const withPorts = (text: string): string =>
    PORTS.reduce((done, port, at) => done.replaceAll(port, String(ports[at])), text);
  const edits = PORTS.map((port, at) => `-e s/${port}/${ports[at]}/`).join(' ');
  const renumber = `sed -i ${edits} my-bank/countersign.yaml my-bank/surfaces/*.yaml`;
  const lines = blocks.map(([, terminal, body = '']) => {
    const text = withPorts(body)
      .replace('npm ci\n', '')
      .replaceAll('../countersign-try', folder)
      .replace('init my-bank\n', `init my-bank\n${renumber}\n`);
    if (terminal === undefined) return text;
    const isUp =
      terminal === 'api' ? `curl -s 127.0.0.1:${ports[3]}` : `grep ready ${terminal}.txt`;
    return `( exec ${text.trim()} ) > ${terminal}.txt 2>&1 &\nuntil ${isUp} > /dev/null; do kill -0 $!; sleep 0.2; done`;
  });
  return ['set -eu -o pipefail', "trap 'kill $(jobs -p); wait' EXIT", ...lines].join('\n');
}

async function runScript(script: string): Promise<{ code: number; output: string }> {
  const shell = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk;
  };
  shell.stdout.on('data', keep);
  shell.stderr.on('data', keep);
  const [code] = await once(shell, 'close');
  return { code, output };
}
