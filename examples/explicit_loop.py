"""The quick start without a Trainer: every step is visible. On all images it must reach 88 % on the test images.

python examples/explicit_loop.py [NUMBER OF TRAINING IMAGES]
"""

import sys

import minigrad
from minigrad import data, nn, optim

TARGET, EPOCHS = 0.88, 5

minigrad.manual_seed(0)
train, test = data.fashion_mnist()
if len(sys.argv) > 1:
    train = train.subset(slice(int(sys.argv[1])))

model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 10)
)
loss = nn.CrossEntropyLoss()
adam = optim.Adam(model.parameters(), lr=2e-3)
batches = data.Loader(train, batch_size=64, shuffle=True, seed=0, drop_last=True)
schedule = optim.CosineAnnealingLR(adam, T_max=EPOCHS * len(batches))

for epoch in range(EPOCHS):
    total = 0.0
    for x, y in batches:
        total += loss(model(x), y)
        adam.zero_grad()
        model.backward(loss.backward(), input_grad=False)  # nobody asks for the images' gradient
        adam.step()
        schedule.step()
    print(f"epoch {epoch + 1}: loss {total / len(batches):.4f}")

model.eval()
correct = 0
with minigrad.no_grad():
    for x, y in data.Loader(test, batch_size=1000):
        correct += int((model(x).argmax(axis=1) == y).sum())
accuracy = correct / len(test)
print(f"test accuracy {accuracy:.2%}")
assert len(sys.argv) > 1 or accuracy >= TARGET
