import type { Playbook } from '@countersign/model';
import { checkShape } from '../document/check-shape.ts';
import { playbookShape } from '../shape/playbook-shape.ts';
import { type CheckContext, createNameRegister, readSource } from './repository-source.ts';

/** Reads `playbooks/*.yaml`, one playbook each. */
export async function checkPlaybooks(
  files: readonly string[],
  context: CheckContext,
): Promise<readonly Playbook[]> {
  const names = createNameRegister('playbook', context.report);
  const playbooks: Playbook[] = [];
  for (const file of files) {
    const document = await readSource(file, context);
    const playbook = document && checkShape(document, playbookShape, context);
    if (!document || !playbook) continue;
    if (!names.take(playbook.name, document.at(['name']))) continue;
    const { level, feature } = playbook.when;
    if (playbook.on !== 'risk-level-change' && (level ?? feature) !== undefined) {
      context.report.warn(document.at(['when']), {
        found: `'when' on ${playbook.on}, which carries no level and no feature`,
        expected: "'when' with 'on: risk-level-change' only: otherwise it never starts",
        mend: "remove 'when'",
      });
    }
    playbooks.push({
      name: playbook.name,
      on: playbook.on,
      when: { ...(level && { level }), ...(feature !== undefined && { feature }) },
      do: playbook.do,
    });
  }
  return playbooks;
}
