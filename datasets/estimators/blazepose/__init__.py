"""BlazePose's two networks, and the steps between them; run inside the environment of a tool."""
