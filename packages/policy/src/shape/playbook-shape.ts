import { type PlaybookAction, SIGNAL_TYPES } from '@countersign/model';
import { z } from 'zod';
import { kebab } from './scalars.ts';

const ACTIONS = [
  'narrow-session',
  'revoke-session',
  'revoke-sessions',
  'disable-subject',
] as const satisfies readonly PlaybookAction[];

/** `playbooks/<name>.yaml`. */
export const playbookShape = z
  .strictObject({
    name: kebab('the name of the playbook', 'bulk-reading'),
    on: z
      .enum(SIGNAL_TYPES)
      .meta({ description: 'the signal that starts it', examples: ['risk-level-change'] }),
    when: z
      .strictObject({
        level: z
          .enum(['LOW', 'MEDIUM', 'HIGH'])
          .optional()
          .meta({ description: 'only at this level' }),
        feature: kebab('only when this risk feature raised it', 'bulk-reading').optional(),
      })
      .default({})
      .meta({ description: 'narrows the signal' }),
    do: z
      .array(z.enum(ACTIONS).meta({ description: 'an action', examples: ['revoke-session'] }))
      .min(1, 'at least one action')
      .max(10)
      .meta({
        description:
          "what to do, in order: narrow-session makes the signal's session read-only, revoke-session ends it, revoke-sessions ends all of its subject's, disable-subject revokes the subject until reinstated",
        examples: [['revoke-session']],
      }),
  })
  .meta({ title: 'playbooks/*.yaml', description: 'what to do on which signal' });
