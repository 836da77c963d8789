"""The run room: a recipe goes in, the whole road comes out. It composes the rooms' configs and wires their functions to steps."""
