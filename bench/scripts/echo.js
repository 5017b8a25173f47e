// SPDX-License-Identifier: Apache-2.0
// Gives back what it is given.
actor({ component: "echo", inports: ["in"], outports: ["out"] },
    context => ({ out: context.getInput("in") }));
