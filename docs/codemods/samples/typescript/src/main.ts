// A program on the published package.
import { Atrion, InMemoryProvider, updatePhysics } from 'atrion'
import { RedisClusterProvider } from '@atrion/cluster'

const physics = {
  baseResistance: 10,
  decayRate: 0.1,
  scarFactor: 5,
  dampingFactor: 20,
  criticalPressure: 0.7,
  breakMultiplier: 10,
  bootstrapTicks: 10,
}

export function step(state: unknown, telemetry: unknown, now: number) {
  return updatePhysics(state, telemetry, physics, now)
}

export const alone = new Atrion({ provider: new InMemoryProvider() })

export const shared = new Atrion({
  provider: new RedisClusterProvider({
    redis: { url: process.env.REDIS_URL },
    sync: { interval: 100, channel: 'atrion:sync' },
    gamma: 0.3,
  }),
  license: process.env.ATRION_LICENSE_KEY,
})
